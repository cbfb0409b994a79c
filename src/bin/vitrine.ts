/** The `vitrine` command: finds the subcommand, and turns what it throws into a message and an exit code. */
import { readFileSync } from 'node:fs';
import { UsageError } from '../cli/command.ts';
import { COMMANDS, helpText } from '../cli/commands.ts';
import { note, plain, print } from '../cli/terminal.ts';
import { ClientError } from '../client/client_error.ts';
import { ConfigError } from '../config/load.ts';
import { VitrineError } from '../contract/errors.ts';
import { nearestName } from '../contract/nearest_name.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** What went wrong is said by the message; a stack would only hide it. */
const EXPECTED = [ClientError, ConfigError, VitrineError];

async function dispatch(argv: readonly string[]): Promise<number> {
  const [first = 'help', ...rest] = argv;
  const name = first === '--help' || first === '-h' ? 'help' : first === '--version' ? 'version' : first;
  if (name === 'version') {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    print(`vitrine ${version}, Node ${process.versions.node}`);
    return 0;
  }
  const asked = name === 'help' ? rest[0] : name;
  if (asked === undefined) {
    print(await helpText());
    return argv.length === 0 ? EXIT_USAGE : 0;
  }
  const load = Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined;
  if (load === undefined) {
    const near = nearestName(asked, [...Object.keys(COMMANDS), 'help', 'version']);
    const hint = near === undefined ? 'vitrine --help lists them' : `did you mean ${near}?`;
    note(`vitrine has no command ${JSON.stringify(plain(asked))}; ${hint}`);
    return EXIT_USAGE;
  }
  const command = await load();
  const options = rest.slice(0, rest.includes('--') ? rest.indexOf('--') : undefined);
  if (name === 'help' || options.includes('--help') || options.includes('-h')) {
    print(command.help);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    if (error instanceof UsageError) {
      note(`${plain(error.message)}\n"vitrine ${asked} --help" tells more`);
      return EXIT_USAGE;
    }
    if (!EXPECTED.some((kind) => error instanceof kind)) throw error;
    note(plain((error as Error).message));
    return EXIT_FAILED;
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever read us has seen enough, as `head` does.
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
process.exitCode = await dispatch(process.argv.slice(2));
