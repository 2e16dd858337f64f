export { TrustError, type TrustErrorCode } from './errors.js';
export { digestOf } from './digest.js';
export { generateSigningKey, signingKeyFromPem, verifyWith, type PublicKey, type SigningKey } from './keys.js';
export {
  documentRules,
  type AddendumDocument,
  type DesiredDocument,
  type DesiredEntry,
  type DocumentType,
  type Documents,
  type FreshDocument,
  type ReleaseDocument,
  type RevocationDocument,
  type RoleKeys,
  type RootDocument,
} from './documents.js';
export { peekDocument, releaseSignersOf, signDocument, signersOf, verifyDocument, type Signers } from './envelope.js';
export {
  acceptAddendum,
  acceptBlob,
  acceptDesired,
  acceptFirstRoot,
  acceptFresh,
  acceptNextRoot,
  acceptRelease,
  type AddendumUse,
  type HeldDesired,
} from './device.js';
export { readFileBounded, writeFileAtomic } from './persist.js';
export { mintEnrolmentToken, parseEnrolmentToken, type EnrolmentToken } from './token.js';
