export { KernelGroupsModule } from './groups.module.js';
export { kernelGroupOf, type KernelGroup } from './kernel-group.js';
export { KERNEL_GROUPS_MAX, KernelGroups } from './kernel-groups.js';
