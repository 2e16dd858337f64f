import { isIP } from 'node:net';

/** Where a VM finds the loopback of the machine that it runs on (QEMU's user network). */
const MACHINE_FROM_VM = '10.0.2.2';

export interface PassOn {
  /** Path → content. */
  readonly files: Readonly<Record<string, string>>;
  /** Run by a shell once the files are there. */
  readonly script: string;
}

/**
 * The server tells devices the address at which those outside find it, which from inside a VM may lead nowhere: it is loopback, or
 * it is known to a router alone. So the VM itself has that address, and passes what comes there on to the machine below.
 */
export function passOn(host: string, ports: readonly number[]): PassOn {
  if (host === MACHINE_FROM_VM) return { files: {}, script: 'true' };
  const family = isIP(host);
  const at = family === 6 ? `[${host}]` : family === 4 ? host : '127.0.0.1';
  const isOwn = family === 0 || /^127\.|^::1$/.test(host);
  // Each time, since the address is gone after a reboot.
  const haveIt = isOwn ? '' : `FreeBind=yes\nExecStartPre=/bin/sh -c "ip address replace ${host} dev lo"\n`;
  const files = Object.fromEntries(
    ports.flatMap((port) => [
      [
        `/etc/systemd/system/fleet-${port}.socket`,
        `[Socket]\nListenStream=${at}:${port}\n${haveIt}[Install]\nWantedBy=sockets.target\n`,
      ],
      [
        `/etc/systemd/system/fleet-${port}.service`,
        `[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd ${MACHINE_FROM_VM}:${port}\n`,
      ],
    ]),
  );
  const name = family === 0 && host !== 'localhost' ? [`echo '127.0.0.1 ${host}' >> /etc/hosts`] : [];
  const sockets = ports.map((port) => `fleet-${port}.socket`).join(' ');
  return { files, script: [...name, 'systemctl daemon-reload', `systemctl enable --now ${sockets}`].join(' && ') };
}
