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
export { recordKernelSupport, recordVmFact } from './vm-facts.js';
export { describeWithVm } from './vm-gate.js';
export { freePort, which } from '@bpfleet/embedded';
