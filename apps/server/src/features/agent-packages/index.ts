export { AgentPackagesModule } from './agent-packages.module.js';
export { InstallCommand } from './install-command.js';
