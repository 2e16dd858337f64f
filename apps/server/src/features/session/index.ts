export { CurrentUser, Public, RequireRole } from './session.guard.js';
export { SessionModule } from './session.module.js';
