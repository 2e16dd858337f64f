export { DevicesApiModule, DevicesModule } from './devices.module.js';
export { cleanLabels, Devices, readSelector, type SelectedDevice } from './devices.service.js';
export { cleanMessage, cleanText, cutText } from './hostile-text.js';
export { Presence } from './presence.service.js';
export { ReportedState } from './reported.service.js';
