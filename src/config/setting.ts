/**
 * Kinds of settings. A setting is a line in the table of settings.ts: what it means, its default, its
 * limits. The variable's name follows from its place: `gateway.httpPort` is `VITRINE_GATEWAY_HTTP_PORT`, and
 * `http_port` under `gateway:` in vitrine.yaml.
 */
export interface Setting<T> {
  readonly fallback: T;
  /** One sentence for docs/configuration.md and error messages. */
  readonly description: string;
  /** What is accepted, in words: shown when a value is refused. */
  readonly accepts: string;
  /** Never printed, logged or shown. */
  readonly secret: boolean;
  /** The value, or undefined when the text is not one. */
  readonly parse: (text: string) => T | undefined;
}

function define<T>(
  fallback: T,
  description: string,
  accepts: string,
  parse: (text: string) => T | undefined,
): Setting<T> {
  return { fallback, description, accepts, secret: false, parse };
}

export function integer(fallback: number, min: number, max: number, description: string): Setting<number> {
  return define(fallback, description, `a whole number from ${min} to ${max}`, (text) => {
    if (!/^-?\d{1,15}$/.test(text)) return undefined;
    const value = Number(text);
    return value >= min && value <= max ? value : undefined;
  });
}

export function ratio(fallback: number, description: string): Setting<number> {
  return define(fallback, description, 'a number from 0 to 1', (text) => {
    if (!/^\d*\.?\d+$/.test(text)) return undefined;
    const value = Number(text);
    return value >= 0 && value <= 1 ? value : undefined;
  });
}

export function flag(fallback: boolean, description: string): Setting<boolean> {
  return define(fallback, description, 'true or false', (text) =>
    text === 'true' ? true : text === 'false' ? false : undefined,
  );
}

export function choice<const T extends string>(
  fallback: T,
  options: readonly T[],
  description: string,
): Setting<T> {
  return define(fallback, description, `one of ${options.join(', ')}`, (text) =>
    options.find((option) => option === text),
  );
}

export function text(fallback: string, description: string): Setting<string> {
  return define(fallback, description, 'text of at most 4096 characters', (value) =>
    value.length <= 4096 ? value : undefined,
  );
}

export function secret(description: string): Setting<string> {
  const base = define('', description, 'at least 16 characters without spaces', (value: string) =>
    value === '' || /^[\x21-\x7e]{16,512}$/.test(value) ? value : undefined,
  );
  return { ...base, secret: true };
}

/** An address with secrets in its path or query, as webhooks have them. */
export function secretUrl(description: string): Setting<string> {
  const base = define('', description, 'an address such as https://hooks.example/path', (value: string) =>
    value === '' || (/^https?:\/\/[^\s#@]{1,2000}$/.test(value) && URL.canParse(value)) ? value : undefined,
  );
  return { ...base, secret: true };
}

/** An SRV name, `_service._tcp.name`, or `host:port`. */
export function dnsName(description: string): Setting<string> {
  const form =
    /^(?:_[a-z0-9-]{1,62}\._tcp\.[a-z0-9][a-z0-9.-]{0,200}|[a-z0-9][a-z0-9.-]{0,200}:[1-9]\d{0,4})$/i;
  return define(
    '',
    description,
    'a name such as _http._tcp.workers.example or workers.example:8101',
    (value) => (value === '' || form.test(value) ? value : undefined),
  );
}

/** Becomes a label of metrics and a resource attribute. */
export function instanceId(description: string): Setting<string> {
  return define(
    '',
    description,
    'a name such as worker-1, of at most 128 letters, digits, ".", "_" and "-"',
    (value) => (/^[A-Za-z0-9._-]{0,128}$/.test(value) ? value : undefined),
  );
}

/** Base address of another service, with a path where it lies behind one; no credentials, query or slash at the end. */
export function baseUrl(fallback: string, description: string): Setting<string> {
  return define(
    fallback,
    description,
    'an address such as http://prometheus:9090 or https://host/path, or nothing',
    (value) => {
      if (value === '') return value;
      if (!/^https?:\/\/[^\s?#@]{1,2000}$/.test(value) || !URL.canParse(value)) return undefined;
      return value.replace(/\/+$/, '');
    },
  );
}

/** Addresses with secrets in them, by name: `page=https://...,ticket=https://...`; the one without a name is ''. */
export function secretUrlsByName(description: string): Setting<Readonly<Record<string, string>>> {
  const fallback: Readonly<Record<string, string>> = {};
  const base = define(
    fallback,
    description,
    'addresses such as https://hooks.example/path, each of several behind a name and "=", separated by commas; ' +
      'a comma inside an address as %2C',
    (value) => {
      const byName: Record<string, string> = {};
      for (const part of value.split(',').map((item) => item.trim())) {
        if (part === '') continue;
        const [, name = '', url = ''] =
          /^(?:([a-z0-9][a-z0-9-]{0,62})=)?(https?:\/\/[^\s#@]{1,2000})$/.exec(part) ?? [];
        if (!URL.canParse(url) || Object.hasOwn(byName, name)) return undefined;
        byName[name] = url;
      }
      return Object.keys(byName).length <= 64 ? byName : undefined;
    },
  );
  return { ...base, secret: true };
}

/** Comma-separated; blanks around items are dropped, empty items too. At most 256 items. */
export function list(
  fallback: readonly string[],
  accepts: string,
  item: (text: string) => boolean,
  description: string,
): Setting<readonly string[]> {
  return define(fallback, description, `${accepts}, separated by commas`, (value) => {
    const items = value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    return items.length <= 256 && items.every(item) ? items : undefined;
  });
}
