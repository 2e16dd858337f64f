/** One thing that is wrong with a manifest: `path` as in `metrics[0].map`, `message` a sentence that says what to do. */
export interface ManifestIssue {
  readonly path: string;
  readonly message: string;
}

/** A `probe.yaml` that cannot be used; all its problems at once. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly code = 'MANIFEST_INVALID';

  constructor(readonly issues: readonly ManifestIssue[]) {
    super(issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('\n'));
  }
}

/** A parameter that the manifest does not have, or whose value is outside of its bounds. */
export class ParamError extends Error {
  override readonly name = 'ParamError';
  readonly code = 'PARAM_INVALID';

  constructor(
    readonly param: string,
    message: string,
  ) {
    super(message);
  }
}
