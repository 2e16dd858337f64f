export { KernelsApiModule, KernelsControlModule, KernelsModule } from './kernels.module.js';
export { KernelBtfs } from './btf/kernel-btfs.js';
export { KernelBuilds } from './btf/kernel-builds.js';
export { BtfUploads } from './upload/btf-uploads.js';
export { Addenda } from './tailor/addenda.js';
export { KernelOffers, type KernelOffer, type OfferWork } from './tailor/kernel-offers.js';
export {
  KernelVerdicts,
  type KernelVerdict,
  type KernelVerdictWord,
  type NewKernelVerdict,
  type VerdictReason,
  type VerdictStage,
} from './verdicts/kernel-verdicts.js';
export { VERDICT_VERSIONS } from './verdicts/verdict-versions.js';
export { objectFor, ReleaseResolver, type Resolved } from './verdicts/release-resolver.js';
export { KernelHooks, type KernelHook } from './btf/kernel-hooks.js';
export { KernelList } from './kernel-list.js';
