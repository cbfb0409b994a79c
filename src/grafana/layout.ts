/** Where panels stand, and the numbers that Grafana knows them by. */
import type { GridPos, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { SizedPanel } from './panel.ts';

/** Columns of Grafana's grid. */
export const COLUMNS = 24;
const ROW_HEIGHT = 1;

export interface Section {
  /** Above its panels; undefined: they stand right below what comes before. */
  readonly title?: string;
  /** For what is looked at now and then, or is not there everywhere; its queries run once it is opened. */
  readonly collapsed?: boolean;
  readonly panels: readonly SizedPanel[];
}

/** Stable while a panel keeps its title: links and screenshots stay right when others come or go. FNV-1a. */
export function panelId(title: string): number {
  let hash = 0x811c9dc5;
  for (const char of title) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return (hash % 1_000_000) + 1;
}

interface Placed {
  readonly panels: Panel[];
  /** First free line below them. */
  readonly bottom: number;
}

/** From left to right, and on the next line when one is full. */
function place(panels: readonly SizedPanel[], top: number): Placed {
  const placed: Panel[] = [];
  let [x, y, lineHeight] = [0, top, 0];
  for (const { panel, width, height } of panels) {
    if (x + width > COLUMNS) [x, y, lineHeight] = [0, y + lineHeight, 0];
    const gridPos: GridPos = { x, y, w: width, h: height };
    placed.push({ ...panel, id: panelId(panel.title ?? ''), gridPos });
    x += width;
    lineHeight = Math.max(lineHeight, height);
  }
  return { panels: placed, bottom: y + lineHeight };
}

/** Every panel in its place; those of a collapsed section inside its row. */
export function layOut(sections: readonly Section[]): (Panel | RowPanel)[] {
  const all: (Panel | RowPanel)[] = [];
  let y = 0;
  for (const { title, collapsed = false, panels } of sections) {
    if (title !== undefined) {
      const gridPos: GridPos = { x: 0, y, w: COLUMNS, h: ROW_HEIGHT };
      const row: RowPanel = {
        type: 'row',
        id: panelId(`row ${title}`),
        title,
        collapsed,
        gridPos,
        panels: [],
      };
      y += ROW_HEIGHT;
      if (collapsed) {
        // Grafana takes the places inside as they would be were the row open.
        all.push({ ...row, panels: place(panels, y).panels });
        continue;
      }
      all.push(row);
    }
    const { panels: placed, bottom } = place(panels, y);
    all.push(...placed);
    y = bottom;
  }
  return all;
}
