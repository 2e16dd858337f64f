/*
 * The verifier's contract with the server, which cannot import this app and re-declares it as a zod schema.
 *
 * One process, one request, one answer, unless it serves. The request is one JSON document on standard input, at most 32 MiB:
 *
 *   { "objectBase64": string,                    the BPF object (ELF), standard base64
 *     "globals"?: { [map: string]: string },     whole initial values of .rodata/.data/.bss, base64
 *     "btfBase64"?: string,                      BTF to relocate by instead of this kernel's, for kernels that show none
 *     "programs"?: { [program: string]: { "autoload": boolean } },   which programs are loaded; else as their SEC() says
 *     "logBytesMax"?: number }                   kept end of each log: 1024 to 262144 bytes, 262144 unless told
 *
 * or it is `{"features": true}`, which asks what this kernel can do, and is answered with a FeaturesReport.
 *
 * The answer is one line of JSON on standard output:
 *   exit 0: a VerifierReport, whatever its verdict;
 *   exit 2: a BadRequestReport: the request is malformed, or its object is not a BPF object that libbpf can open;
 *   any other end (signal, other exit code) is a failure of the verifier itself and no verdict.
 *
 * With --serve the process stays: each line of standard input is a request, and each is answered with a line, a VerifierReport or
 * a BadRequestReport, in turn, until the input ends. A report waits until the kernel has freed what the request loaded. A process
 * that ends before it has answered has broken down over that request.
 *
 * Nothing is attached and nothing is pinned. Everything that was loaded is gone when the request is answered.
 */

export interface VerifierReport {
  kernel: KernelReport;
  /**
   * accepted: this kernel loads the object as asked, and can attach what was loaded as far as can be told without attaching.
   * refused: the author must change something; `programs` says what.
   * unable: this machine cannot say, because of its privileges or its kernel; `reason` says why.
   */
  verdict: 'accepted' | 'refused' | 'unable';
  /** One sentence. Always there when unable; when refused, only if the cause is not in one of the programs. */
  reason?: string;
  /** How long the whole object took to load, or to be refused, in milliseconds. */
  loadMs: number;
  /** In the order of the object. */
  programs: ProgramReport[];
  /** In the order of the object; global data are maps too. */
  maps: MapReport[];
}

/** As probeKernel() of node-libbpf answers, by its names. */
export interface FeaturesReport {
  kernelCan: Record<'programTypes' | 'mapTypes' | 'features', Record<string, 'yes' | 'no' | 'unknown'>>;
}

export interface KernelReport {
  /** uname -r */
  release: string;
  /** uname -m */
  arch: string;
  /** GNU build id from /sys/kernel/notes, lower-case hexadecimal; null where it cannot be read. */
  buildId: string | null;
  /** Whether /sys/kernel/btf/vmlinux exists. */
  btf: boolean;
  /**
   * net.core.bpf_jit_enable: "0", "1" or "2". Where it cannot be read, "1" or "0" as loaded programs became machine code or
   * not; null when none was loaded either.
   */
  jit: string | null;
  /** Comma-separated active security modules (/sys/kernel/security/lsm); null where it cannot be read. */
  lsm: string | null;
}

export interface ProgramReport {
  name: string;
  /** The ELF section, such as `tracepoint/sched/sched_process_exec`. */
  section: string;
  /** libbpf's name of the program type, such as `tracepoint`. */
  type: string;
  /**
   * accepted: loads.
   * refused: the verifier or libbpf refuses it; see `log`.
   * unsupported: this kernel has no such program type or hook; not the author's fault. With `verifiedInstructions` it was loaded, and only
   * its hook is not there (a module that is loaded later may bring it), is one of a module that other machines may not have loaded, or
   * may not be attached to.
   * skipped: was not to be loaded, or could not be tried (then the report has a `reason`).
   */
  verdict: 'accepted' | 'refused' | 'unsupported' | 'skipped';
  /** Positive; with errnoName (`EACCES`) when the kernel or libbpf gave one. */
  errno?: number;
  errnoName?: string;
  /** The verifier's log, its end where it is too long; libbpf's own lines when the verifier was not reached. */
  log?: string;
  /** Instructions in the object, of 8 bytes each. */
  instructionCount: number;
  /** Instructions that the verifier walked. Only when accepted. */
  verifiedInstructions?: number;
  /** Sum over the program and its subprograms: an upper bound of what one call chain uses. Only when accepted. */
  stackDepthBytes?: number;
  /** Machine code; 0 without JIT. Only when accepted. */
  jitedBytes?: number;
}

export interface MapReport {
  name: string;
  /** libbpf's name of the map type, such as `ringbuf`. */
  type: string;
  /** Kernel memory as the kernel accounts it. Only when the object was accepted. */
  bytes?: number;
}

export interface BadRequestReport {
  error: {
    /** REQUEST_TOO_LARGE, REQUEST_INVALID (JSON or its shape), OBJECT_INVALID, BTF_INVALID, UNKNOWN_NAME, GLOBALS_INVALID. */
    code:
      'REQUEST_TOO_LARGE' | 'REQUEST_INVALID' | 'OBJECT_INVALID' | 'BTF_INVALID' | 'UNKNOWN_NAME' | 'GLOBALS_INVALID';
    message: string;
  };
}
