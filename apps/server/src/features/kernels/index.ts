export { BtfUploadModule, KernelsApiModule, KernelsModule } from './kernels.module.js';
export { KernelBtfs } from './btf/kernel-btfs.js';
export { BtfUploads } from './upload/btf-uploads.js';
