import { config } from 'zod';

// zod compiles its checks with `new Function` where it may. The server's Content-Security-Policy forbids that, and trying
// is reported as a violation. Must be imported before the contract, whose schemas decide when they are made.
config({ jitless: true });
