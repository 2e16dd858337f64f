import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { LoginThrottle } from './login-throttle.js';
import { RefusedLogIns } from './refused-log-ins.js';
import { SessionController } from './session.controller.js';
import { SessionGuard } from './session.guard.js';
import { SessionService } from './session.service.js';

@Module({
  controllers: [SessionController],
  providers: [SessionService, LoginThrottle, RefusedLogIns, { provide: APP_GUARD, useClass: SessionGuard }],
})
export class SessionModule {}
