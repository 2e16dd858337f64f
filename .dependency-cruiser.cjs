// The import edges of ARCHITECTURE.md. `allowed` would accept what nobody thought of, so every room is one `forbidden`
// rule that names what it may import; everything else is an error.
const room = (name, from, mayImport) => ({
  name,
  severity: 'error',
  from: { path: `^${from}/src/`, pathNot: ['\\.test\\.ts$', '/testing/'] },
  to: { path: '^(libs|apps)/', pathNot: [`^${from}/`, ...mayImport.map((r) => `^libs/${r}/`)] },
});
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    room('node-libbpf-on-btf', 'libs/node-libbpf', ['btf']),
    room('btf-alone', 'libs/btf', []),
    {
      name: 'btf-pure',
      severity: 'error',
      from: { path: '^libs/btf/src/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core', 'npm'] },
    },
    room('probe-on-btf', 'libs/probe', ['btf']),
    room('trust-alone', 'libs/trust', []),
    room('wire-alone', 'libs/wire', []),
    {
      name: 'wire-no-io',
      severity: 'error',
      from: { path: '^libs/wire/src/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(zlib|buffer)$' },
    },
    room('api-alone', 'libs/api', []),
    room('embedded-alone', 'libs/embedded', []),
    room('vm', 'libs/vm', ['btf', 'embedded']),
    room('testkit', 'libs/testkit', ['embedded', 'wire', 'trust', 'probe', 'btf', 'api', 'node-libbpf', 'vm']),
    room('server', 'apps/server', ['api', 'btf', 'embedded', 'probe', 'trust', 'vm', 'wire']),
    {
      name: 'vm-in-the-lab-only',
      severity: 'error',
      from: { path: '^apps/server/src/', pathNot: ['^apps/server/src/features/lab/machine/', '\\.test\\.ts$'] },
      to: { path: '^libs/vm/' },
    },
    room('verifier', 'apps/verifier', ['btf', 'node-libbpf', 'probe']),
    room('agent', 'apps/agent', ['node-libbpf', 'probe', 'trust', 'wire']),
    room('web', 'apps/web', ['api']),
    room('cli', 'apps/cli', ['api', 'btf']),
    room('up', 'apps/up', ['api', 'embedded', 'vm']),
    {
      name: 'testkit-in-tests-only',
      severity: 'error',
      from: {
        path: '^(libs|apps)/',
        pathNot: [
          '\\.test\\.ts$',
          '^libs/testkit/',
          '^apps/e2e/',
          '/testing/',
          '^apps/server/test/',
          '^libs/btf/test/',
        ],
      },
      to: { path: '^libs/testkit/' },
    },
    {
      name: 'agent-kernel-is-the-only-importer-of-node-libbpf',
      severity: 'error',
      from: { path: '^apps/agent/src/', pathNot: ['^apps/agent/src/kernel/', '\\.test\\.ts$'] },
      to: { path: '^libs/node-libbpf/' },
    },
    {
      name: 'agent-core-is-pure',
      severity: 'error',
      from: { path: '^apps/agent/src/core/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'features-meet-through-services',
      comment:
        'A feature reaches another only through an index.ts: its own, or that of a part which it publishes apart (its queue, its catalogue) so that two features may need each other without a cycle. Never a store.',
      severity: 'error',
      from: { path: '^apps/server/src/features/([^/]+)/', pathNot: ['\\.test\\.ts$', '/testing/'] },
      to: {
        path: '^apps/server/src/features/',
        pathNot: [
          '^apps/server/src/features/$1/',
          '^apps/server/src/features/[^/]+/index\\.ts$',
          '^apps/server/src/features/[^/]+/[^/]+/index\\.ts$',
        ],
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|dist-types|generated|node_modules)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.edges.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
