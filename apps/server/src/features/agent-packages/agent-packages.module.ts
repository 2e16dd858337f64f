import { Module } from '@nestjs/common';
import { AgentPackagesController } from './agent-packages.controller.js';
import { InstallCommand } from './install-command.js';
import { PackageShelf } from './package-shelf.js';

@Module({
  providers: [PackageShelf, InstallCommand],
  controllers: [AgentPackagesController],
  exports: [InstallCommand],
})
export class AgentPackagesModule {}
