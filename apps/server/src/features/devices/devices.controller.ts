import { Controller, Param } from '@nestjs/common';
import type { Device, User } from '@bpfleet/api';
import { Route, RouteBody, RouteQuery, type BodyOf, type QueryOf, type ResponseOf } from '../../http/route.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { Devices } from './devices.service.js';
import { Revocation } from './revocation.service.js';

@Controller()
export class DevicesController {
  constructor(
    private readonly devices: Devices,
    private readonly revocation: Revocation,
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
  update(
    @CurrentUser() user: User,
    @Param('id') id: string,
    @RouteBody('updateDevice') body: BodyOf<'updateDevice'>,
  ): Promise<Device> {
    return this.devices.update(user.username, id, body);
  }

  @RequireRole('admin')
  @Route('revokeDevice')
  async revoke(
    @CurrentUser() user: User,
    @Param('id') id: string,
    @RouteBody('revokeDevice') { reason }: BodyOf<'revokeDevice'>,
  ): Promise<Device> {
    await this.revocation.revoke(user.username, id, reason);
    return this.devices.get(id);
  }
}
