import { doctorText } from '../core/doctor.js';
import { tooOldKernel } from '../runs/kernel-gate.js';

export interface DoctorOptions {
  readonly bpffs: string;
  readonly json: boolean;
}

/** What works on this kernel for whoever runs this. @returns the exit code: 1 where the agent could not work */
export async function doctor({ bpffs, json }: DoctorOptions, write: (text: string) => void): Promise<0 | 1> {
  const { examine } = await import('../kernel/doctor/examine.js');
  const report = examine(bpffs, tooOldKernel);
  write(json ? `${JSON.stringify(report)}\n` : doctorText(report));
  return report.canWork ? 0 : 1;
}
