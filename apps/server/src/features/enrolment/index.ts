export { EnrolmentApiModule } from './enrolment.module.js';
