/** Ways from one dashboard to the others and to traces, with time and variables kept. */

import { SERVICE_GATEWAY, SPAN } from '../contract/attributes.ts';
import type { DashboardUid } from '../slo/alert.ts';
import type { Link } from './panel.ts';
import { variable } from './variables.ts';

const JAEGER = variable('jaeger_datasource');

/** On every dashboard of ours, so that they find each other. */
export const TAG = 'vitrine';

/** What stays when one goes on: the data sources and the processes that are looked at. */
const KEPT = ['prometheus_datasource', 'jaeger_datasource', 'job', 'instance'] as const;

/** To another dashboard. @param variables its variable → a value, or what Grafana replaces by one */
export function dashboardLink(
  title: string,
  uid: DashboardUid,
  variables: Readonly<Record<string, string>> = {},
): Link {
  const query = [
    variable('__url_time_range'),
    ...KEPT.map((name) => variable(name, 'queryparam')),
    ...Object.entries(variables).map(([name, value]) => `var-${name}=${value}`),
  ];
  return { title, url: `/d/${uid}?${query.join('&')}` };
}

/** Everything but what Grafana replaces. */
function encoded(text: string): string {
  return text
    .split(/(\$\{[^}]*\})/)
    .map((part, index) => (index % 2 === 1 ? part : encodeURIComponent(part)))
    .join('');
}

export interface TraceSearch {
  /** A model's name, or what Grafana replaces by one; all models when undefined. */
  readonly model?: string;
  /** `error=true`, as Jaeger's search has them. */
  readonly tags?: string;
}

/** To Jaeger's search in Grafana's Explore, over the time that is looked at. */
export function tracesLink(title: string, { model, tags }: TraceSearch = {}): Link {
  const pane = {
    datasource: JAEGER,
    queries: [
      {
        refId: 'A',
        datasource: { type: 'jaeger', uid: JAEGER },
        queryType: 'search',
        service: SERVICE_GATEWAY,
        ...(model === undefined ? {} : { operation: `${SPAN.query} ${model}` }),
        ...(tags === undefined ? {} : { tags }),
        limit: 50,
      },
    ],
    range: { from: variable('__from'), to: variable('__to') },
  };
  return { title, url: `/explore?schemaVersion=1&panes=${encoded(JSON.stringify({ traces: pane }))}` };
}
