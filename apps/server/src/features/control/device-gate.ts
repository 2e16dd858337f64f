import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';

const FRESH_MS = 5_000;
const CACHED_MAX = 20_000;

/** Which devices may speak. Answers are kept for five seconds, so that a revocation is felt within them. */
@Injectable()
export class DeviceGate {
  private readonly cache = new Map<string, { active: boolean; at: number }>();

  constructor(
    private readonly prisma: PrismaService,
    private readonly clock: Clock,
  ) {}

  async isActive(device: string): Promise<boolean> {
    const now = this.clock.now().getTime();
    const known = this.cache.get(device);
    if (known && now - known.at < FRESH_MS) return known.active;
    const row = await this.prisma.device.findUnique({ where: { id: device }, select: { status: true } });
    const active = row?.status === 'active';
    if (this.cache.size >= CACHED_MAX) this.cache.clear();
    // A device that is not there yet may be there in a moment: only yes is worth remembering.
    if (active) this.cache.set(device, { active, at: now });
    else this.cache.delete(device);
    return active;
  }
}
