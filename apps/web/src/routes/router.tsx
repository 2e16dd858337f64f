import { Center } from '@mantine/core';
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  Link,
  Outlet,
  redirect,
  type ErrorComponentProps,
} from '@tanstack/react-router';
import { isNotLoggedIn } from '../api/client.js';
import { meQuery } from '../api/queries.js';
import { EmptyState, ErrorPanel, Waiting } from '../ui/feedback.js';
import { Shell } from '../ui/shell.js';
import { AssignPage } from './assignments/assign-page.js';
import { AssignmentsPage } from './assignments/assignments-page.js';
import { AuditPage } from './audit/audit-page.js';
import { DebugRunPage } from './debug/debug-run-page.js';
import { DebugRunsPage } from './debug/debug-runs-page.js';
import { NewDebugRunPage } from './debug/new-debug-run-page.js';
import { DevicePage } from './devices/device-page.js';
import { DevicesPage } from './devices/devices-page.js';
import { ProbesPage } from './probes/probes-page.js';
import { ReleasePage } from './probes/release-page.js';
import { PublishPage } from './publish/publish-page.js';
import {
  parseAssignSearch,
  parseAuditSearch,
  parseDebugRunSearch,
  parseDevicesSearch,
  parseDeviceSearch,
  parseNewDebugSearch,
  parseProbesSearch,
  parseSettingsSearch,
} from './search.js';
import { LoginPage } from './session/login-page.js';
import { safeNext } from './session/next-path.js';
import { SettingsPage } from './settings/settings-page.js';

const rootRoute = createRootRouteWithContext<{ queryClient: QueryClient }>()({ component: Outlet });

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/login',
  validateSearch: (raw: Record<string, unknown>): { next?: string } => ({ next: safeNext(raw.next) }),
  component: LoginPage,
});

const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: 'shell',
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.ensureQueryData(meQuery);
    } catch (error) {
      if (isNotLoggedIn(error)) throw redirect({ to: '/login', search: { next: safeNext(location.href) } });
      throw error;
    }
  },
  component: Shell,
});

const page = { getParentRoute: () => shellRoute };
const indexRoute = createRoute({
  ...page,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/devices' });
  },
});
const devicesRoute = createRoute({
  ...page,
  path: '/devices',
  validateSearch: parseDevicesSearch,
  component: DevicesPage,
});
const deviceRoute = createRoute({
  ...page,
  path: '/devices/$device',
  validateSearch: parseDeviceSearch,
  component: DevicePage,
});
const probesRoute = createRoute({ ...page, path: '/probes', validateSearch: parseProbesSearch, component: ProbesPage });
const releaseRoute = createRoute({ ...page, path: '/releases/$release', component: ReleasePage });
const assignRoute = createRoute({
  ...page,
  path: '/releases/$release/assign',
  validateSearch: parseAssignSearch,
  component: AssignPage,
});
const publishRoute = createRoute({ ...page, path: '/publish', component: PublishPage });
const assignmentsRoute = createRoute({ ...page, path: '/assignments', component: AssignmentsPage });
const debugRunsRoute = createRoute({ ...page, path: '/debug', component: DebugRunsPage });
const newDebugRoute = createRoute({
  ...page,
  path: '/debug/new',
  validateSearch: parseNewDebugSearch,
  component: NewDebugRunPage,
});
const debugRunRoute = createRoute({
  ...page,
  path: '/debug/$run',
  validateSearch: parseDebugRunSearch,
  component: DebugRunPage,
});
const auditRoute = createRoute({ ...page, path: '/audit', validateSearch: parseAuditSearch, component: AuditPage });
const settingsRoute = createRoute({
  ...page,
  path: '/settings',
  validateSearch: parseSettingsSearch,
  component: SettingsPage,
});

const routeTree = rootRoute.addChildren([
  loginRoute,
  shellRoute.addChildren([
    indexRoute,
    devicesRoute,
    deviceRoute,
    probesRoute,
    releaseRoute,
    assignRoute,
    publishRoute,
    assignmentsRoute,
    debugRunsRoute,
    newDebugRoute,
    debugRunRoute,
    auditRoute,
    settingsRoute,
  ]),
]);

function PageError({ error, reset }: ErrorComponentProps) {
  return (
    <Center p="xl">
      <ErrorPanel error={error} retry={reset} />
    </Center>
  );
}

export function createAppRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: false,
    scrollRestoration: true,
    defaultPendingMs: 300,
    defaultPendingComponent: () => <Waiting label="Asking the server" />,
    defaultErrorComponent: PageError,
    defaultNotFoundComponent: () => (
      <EmptyState title="There is no such page" action={<Link to="/devices">Go to the devices</Link>} />
    ),
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
