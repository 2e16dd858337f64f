import type { Command } from 'commander';
import type { CommandHost } from '../../command.js';

export function addCompletionBash(completion: Command, program: Command, host: CommandHost): void {
  completion
    .command('bash')
    .description('a script for bash: source <(bpfleet completion bash)')
    .action(() => host.context.out(bashScript(program)));
}

/** Made from the commands themselves, so that it cannot be older than they are. */
export function bashScript(program: Command): string {
  const name = program.name();
  const cases = pathsOf(program, '').map(
    ({ path, words }) => `    ${JSON.stringify(path)}) words=${JSON.stringify(words)} ;;`,
  );
  return `_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      -*) ;;
      *) case " \${known[*]} " in *" \${path:+$path/}\${COMP_WORDS[i]} "*) path=\${path:+$path/}\${COMP_WORDS[i]} ;; esac ;;
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ $path == publish && $cur != -* ]] && COMPREPLY=($(compgen -d -- "$cur"))
}
known=(${pathsOf(program, '')
    .map(({ path }) => path)
    .filter(Boolean)
    .join(' ')})
complete -F _${name} ${name}
`.replace(/\bknown\b/g, `_${name}_commands`);
}

function pathsOf(command: Command, path: string): { path: string; words: string }[] {
  const children = command.commands.map((child) => child.name());
  const options = command.options.map((option) => option.long).filter((long) => long !== undefined && long !== null);
  return [
    { path, words: [...new Set([...children, ...options, '--json', '--help'])].join(' ') },
    ...command.commands.flatMap((child) => pathsOf(child, path ? `${path}/${child.name()}` : child.name())),
  ];
}
