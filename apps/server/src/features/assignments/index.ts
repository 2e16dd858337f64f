export { AssignmentsApiModule } from './assignments.module.js';
