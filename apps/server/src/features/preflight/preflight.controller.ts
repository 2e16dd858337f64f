import { Controller } from '@nestjs/common';
import type { KernelUpgrade as KernelUpgradeView, Preflight as PreflightView } from '@bpfleet/api';
import { Route, RouteBody, type BodyOf } from '../../http/route.js';
import { Preflight } from './preflight.service.js';
import { KernelUpgrade } from './upgrade/kernel-upgrade.service.js';

@Controller()
export class PreflightController {
  constructor(
    private readonly preflight: Preflight,
    private readonly upgrade: KernelUpgrade,
  ) {}

  @Route('preflight')
  check(@RouteBody('preflight') body: BodyOf<'preflight'>): Promise<PreflightView> {
    return this.preflight.check(body);
  }

  @Route('kernelUpgrade')
  checkUpgrade(@RouteBody('kernelUpgrade') body: BodyOf<'kernelUpgrade'>): Promise<KernelUpgradeView> {
    return this.upgrade.check(body);
  }
}
