import { Controller, Param } from '@nestjs/common';
import type { Device, User } from '@bpfleet/api';
import { Route, RouteBody, RouteQuery, type BodyOf, type QueryOf, type ResponseOf } from '../../http/route.js';
import { AuditLog } from '../audit/index.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { Devices } from './devices.service.js';

@Controller()
export class DevicesController {
  constructor(
    private readonly devices: Devices,
    private readonly audit: AuditLog,
  ) {}

  @Route('listDevices')
  list(@RouteQuery('listDevices') query: QueryOf<'listDevices'>): Promise<ResponseOf<'listDevices'>> {
    return this.devices.list(query);
  }

  @Route('getDevice')
  get(@Param('id') id: string): Promise<Device> {
    return this.devices.get(id);
  }

  @RequireRole('operator')
  @Route('updateDevice')
  async update(
    @CurrentUser() user: User,
    @Param('id') id: string,
    @RouteBody('updateDevice') body: BodyOf<'updateDevice'>,
  ): Promise<Device> {
    const device = await this.devices.update(id, body);
    await this.audit.record({ actor: user.username, action: 'device.update', subject: id, details: body });
    return device;
  }
}
