/** What alerts have in common. */

/**
 * On every alert of Vitrine: routes and silences in an Alertmanager that serves others too can name it, and
 * inhibitions can rely on it where alerts share nothing else.
 */
export const SYSTEM_LABEL = { system: 'vitrine' } as const;

export const MINUTE_S = 60;
export const HOUR_S = 3600;
export const DAY_S = 86_400;
