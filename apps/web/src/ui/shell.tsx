import {
  ActionIcon,
  AppShell,
  Badge,
  Burger,
  Group,
  Menu,
  Modal,
  Stack,
  Table,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconBug,
  IconDeviceDesktopAnalytics,
  IconHistory,
  IconKeyboard,
  IconLogout,
  IconMoon,
  IconPackage,
  IconSettings,
  IconSun,
  IconTargetArrow,
  IconUpload,
  IconUser,
} from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { api } from '../api/client.js';
import { followLive, type LiveState } from '../api/live.js';
import { meQuery } from '../api/queries.js';
import { shortcutReader, shortcuts } from './shortcuts.js';

const pages = [
  { to: '/devices', label: 'Devices', icon: IconDeviceDesktopAnalytics },
  { to: '/probes', label: 'Probes', icon: IconPackage },
  { to: '/publish', label: 'Publish', icon: IconUpload },
  { to: '/assignments', label: 'Assignments', icon: IconTargetArrow },
  { to: '/debug', label: 'Debug runs', icon: IconBug },
  { to: '/audit', label: 'Audit', icon: IconHistory, admin: true },
  { to: '/settings', label: 'Settings', icon: IconSettings },
] as const;

export function Shell() {
  const client = useQueryClient();
  const { data: user } = useQuery(meQuery);
  const [live, setLive] = useState<LiveState>('connecting');
  const [menuOpen, menu] = useDisclosure(false);
  const [helpOpen, help] = useDisclosure(false);
  useEffect(() => followLive(client, setLive), [client]);
  useShortcuts(help.open);

  return (
    <AppShell
      header={{ height: 44 }}
      navbar={{ width: 172, breakpoint: 'sm', collapsed: { mobile: !menuOpen } }}
      padding="md"
      transitionDuration={0}
      styles={{
        header: { background: 'var(--bf-surface)' },
        navbar: { background: 'var(--bf-surface)' },
      }}
    >
      <AppShell.Header px="sm">
        <Group h="100%" gap="sm">
          <Burger opened={menuOpen} onClick={menu.toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
          <img src="/favicon.svg" alt="" width={22} height={22} />
          <Text fw={700} size="md">
            bpfleet
          </Text>
          <div style={{ flex: 1 }} />
          <LiveBadge state={live} />
          <Tooltip label="Keyboard (?)">
            <ActionIcon variant="subtle" color="gray" aria-label="Keyboard shortcuts" onClick={help.open}>
              <IconKeyboard size={17} />
            </ActionIcon>
          </Tooltip>
          <SchemeToggle />
          <UserMenu />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p={8} aria-label="Main">
        {pages
          .filter((page) => !('admin' in page) || user?.role === 'admin')
          .map(({ to, label, icon: Icon }) => (
            <Link key={to} to={to} className="bf-nav" onClick={menu.close} data-testid={`nav-${to.slice(1)}`}>
              <Icon size={16} stroke={1.6} />
              {label}
            </Link>
          ))}
      </AppShell.Navbar>
      <AppShell.Main>
        <Outlet />
      </AppShell.Main>
      <Modal opened={helpOpen} onClose={help.close} title="Keyboard" size="sm">
        <Table>
          <Table.Tbody>
            {shortcuts.map(({ keys, does }) => (
              <Table.Tr key={keys}>
                <Table.Td w={90}>
                  {keys.split(' ').map((key) => (
                    <kbd key={key} className="bf-key" style={{ marginRight: 4 }}>
                      {key}
                    </kbd>
                  ))}
                </Table.Td>
                <Table.Td>{does}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Modal>
    </AppShell>
  );
}

const liveTexts: Record<LiveState, { label: string; color: string; help: string }> = {
  connecting: { label: 'connecting', color: 'gray', help: 'Asking the server for live updates.' },
  live: { label: 'live', color: 'teal', help: 'Changes are shown as the server learns of them.' },
  lost: {
    label: 'reconnecting',
    color: 'orange',
    help: 'The server does not answer. What you see is as old as the break; it is read again when the link is back.',
  },
};

function LiveBadge({ state }: { state: LiveState }) {
  const { label, color, help } = liveTexts[state];
  return (
    <Tooltip label={help}>
      <Badge color={color} variant="dot" role="status" data-testid="live-state" data-state={state}>
        {label}
      </Badge>
    </Tooltip>
  );
}

function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <Tooltip label={`Change to ${other} (t)`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`Change to ${other}`}
        data-testid="scheme"
        onClick={() => setColorScheme(other)}
      >
        {scheme === 'dark' ? <IconSun size={17} /> : <IconMoon size={17} />}
      </ActionIcon>
    </Tooltip>
  );
}

function UserMenu() {
  const { data: user } = useQuery(meQuery);
  const { setColorScheme } = useMantineColorScheme();
  const client = useQueryClient();
  const navigate = useNavigate();
  const logOut = async () => {
    // The page forgets what it knows whatever the server answers: the person wants to be gone from this screen.
    await api.call('logout', {}).catch(() => undefined);
    client.clear();
    await navigate({ to: '/login' });
  };
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="Account" data-testid="account">
          <IconUser size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Stack gap={0} px="sm" py={6}>
          <Text size="sm" fw={600}>
            {user?.username}
          </Text>
          <Text size="xs" c="dimmed">
            {user?.role}
          </Text>
        </Stack>
        <Menu.Divider />
        <Menu.Item onClick={() => setColorScheme('auto')}>Colours as the system has them</Menu.Item>
        <Menu.Item leftSection={<IconLogout size={14} />} onClick={() => void logOut()} data-testid="logout">
          Log out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function useShortcuts(openHelp: () => void): void {
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const latest = useRef({ openHelp, navigate, setColorScheme, scheme });
  latest.current = { openHelp, navigate, setColorScheme, scheme };
  useEffect(() => {
    const read = shortcutReader();
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const action = read(event.key, event.timeStamp);
      if (!action) return;
      event.preventDefault();
      if (action === 'waiting') return;
      const now = latest.current;
      if (action.type === 'go') void now.navigate({ to: action.to });
      else if (action.type === 'help') now.openHelp();
      else if (action.type === 'scheme') now.setColorScheme(now.scheme === 'dark' ? 'light' : 'dark');
      else document.querySelector<HTMLElement>('[data-search]')?.focus();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return Boolean(element?.closest('input, textarea, select, [contenteditable], [role=dialog]'));
}
