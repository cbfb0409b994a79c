/** docs/configuration.md, from the table of settings. A test holds the committed file to it. */
import { eachSetting, yamlKey } from './settings.ts';

const ROOM_MEANING: Readonly<Record<string, string>> = {
  gateway: 'The gateway: where queries arrive.',
  worker: 'The workers: where models run.',
  console: 'The embedded console: traces and the page, on one machine.',
  enricher: 'The webhook behind Alertmanager that adds evidence.',
  slo: 'Objectives, and where links of alerts lead.',
  telemetry: 'What is recorded of each query, and what is kept.',
  access: 'Who may call.',
  lifecycle: 'Starting, watching and stopping processes.',
  drill: 'Faults on purpose.',
};

/** Defaults that the machine decides, as words instead of the number that this one has. */
const DEFAULT_WORDS: Readonly<Record<string, string>> = { VITRINE_WORKER_COUNT: 'cores - 1, at least 1' };

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** Not what an HTML or Markdown reader would take for a tag. */
function prose(text: string): string {
  return cell(text).replaceAll('<', '&lt;');
}

function defaultOf(variable: string, fallback: unknown): string {
  const words = DEFAULT_WORDS[variable];
  if (words !== undefined) return words;
  const text = Array.isArray(fallback)
    ? fallback.join(',')
    : typeof fallback === 'object'
      ? '' // by name: none
      : String(fallback);
  return text === '' ? '(empty)' : `\`${text}\``;
}

export function configurationDocs(): string {
  const settings = eachSetting();
  const rooms = [...new Set(settings.map(({ room }) => room))];
  const sections = rooms.map((room) => {
    const rows = settings
      .filter((entry) => entry.room === room)
      .map(({ name, variable, setting }) => {
        const secret = setting.secret ? ' Secret: never logged or shown.' : '';
        const cells = [
          `\`${variable}\`<br>\`${yamlKey(name)}\``,
          cell(defaultOf(variable, setting.fallback)),
          prose(setting.accepts),
          prose(setting.description + secret),
        ];
        return `| ${cells.join(' | ')} |`;
      });
    return [
      `## ${room}`,
      '',
      ROOM_MEANING[room] ?? '',
      '',
      '| variable, and key in the file | default | takes | meaning |',
      '|---|---|---|---|',
      ...rows,
    ].join('\n');
  });
  return `<!-- Generated from src/config/settings.ts by \`npm run generate\`. -->

# Configuration

Every setting is an environment variable \`VITRINE_<ROOM>_<NAME>\`, and a line under its room in a YAML file. The
environment wins over the file, the file over the default. The file is \`vitrine.yaml\` in the working folder;
\`VITRINE_CONFIG\` names another.

\`\`\`yaml
# vitrine.yaml
gateway:
  http_port: 9000
worker:
  count: 4
\`\`\`

A value that is not accepted, and a setting that does not exist, stop the start: every fault is told at once,
with the variable or the line, and what is accepted instead. Processes then exit with code 78.

OpenTelemetry's own variables (\`OTEL_EXPORTER_OTLP_ENDPOINT\`, \`OTEL_SERVICE_NAME\`, \`OTEL_RESOURCE_ATTRIBUTES\`,
\`OTEL_TRACES_SAMPLER\`, \`OTEL_PROPAGATORS\`, the limits, and the rest) mean what its
[specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) says. As it
asks, a value that cannot be read is a warning, and the default holds.

${sections.join('\n\n')}
`;
}
