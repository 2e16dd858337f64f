export { testCa } from './certificates.js';
export type { TestCa, TestCertificate } from './certificates.js';
export {
  describeWithKernel,
  hasBpf,
  hasCapability,
  hasTracefs,
  missingCapabilities,
  referenceLibbpfDir,
} from './kernel-gate.js';
export type { Capability } from './kernel-gate.js';
export { mosquittoPath, startMosquitto } from './mosquitto.js';
export type { Mosquitto, MosquittoOptions } from './mosquitto.js';
export { connectTestMqtt } from './mqtt-client.js';
export type { TestMqttOptions } from './mqtt-client.js';
export { startTestBroker } from './test-broker.js';
export { createTestDatabase, startTestPostgres } from './test-postgres.js';
export type { TestDatabase, TestPostgres } from './test-postgres.js';
export { VM_TARGETS } from './vm/catalogue.js';
export type { VmTarget } from './vm/catalogue.js';
export { NO_IO_URING, RunningVm } from './vm/running-vm.js';
export type { ExecOptions, ExecResult, RebootKind } from './vm/running-vm.js';
export { missingForVm, startVm } from './vm/vm.js';
export type { VmOptions } from './vm/vm.js';
export { VmError } from './vm/vm-error.js';
export type { VmErrorCode } from './vm/vm-error.js';
export { recordVmFact } from './vm/vm-facts.js';
export { describeWithVm } from './vm/vm-gate.js';
export { which } from './which.js';
export { freePort } from '@bpfleet/embedded';
