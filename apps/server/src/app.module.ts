import { Module, type DynamicModule } from '@nestjs/common';
import type { ServerConfig } from './config/config.js';
import { AuditModule } from './features/audit/log/index.js';
import { apiModules, controlModules, labModules } from './features/control-plane.js';
import { HealthModule } from './features/health/index.js';
import { ingestModules } from './features/ingest/index.js';
import { LiveModule } from './features/live/index.js';
import { SessionModule } from './features/session/index.js';
import { telemetryApiModules, telemetryOwnerModules } from './features/telemetry/index.js';
import { PlatformModule } from './platform/platform.module.js';

/** One program, several roles: what is imported is what this process does. */
@Module({})
export class AppModule {
  static forRoles(config: ServerConfig): DynamicModule {
    const has = (role: 'api' | 'control' | 'ingest' | 'lab') => config.roles.includes(role);
    return {
      module: AppModule,
      imports: [
        PlatformModule.with(config),
        AuditModule,
        ...(has('api') ? [SessionModule, HealthModule, LiveModule, ...apiModules, ...telemetryApiModules] : []),
        ...(has('control') ? [...controlModules, ...telemetryOwnerModules] : []),
        ...(has('ingest') ? ingestModules : []),
        ...(has('lab') ? labModules : []),
      ],
    };
  }
}
