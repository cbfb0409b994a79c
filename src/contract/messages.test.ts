import { expect, test } from 'vitest';
import {
  type ChildMessage,
  parseChildMessage,
  parseSupervisorMessage,
  type SupervisorMessage,
  seal,
} from './messages.ts';

const CHILD: readonly ChildMessage[] = [
  { type: 'ready', name: 'worker', index: 2, ports: { http: 8102 } },
  { type: 'drained' },
  { type: 'pong', sequence: 7 },
  { type: 'fatal', message: 'port 8102 is taken', setting: 'VITRINE_WORKER_BASE_PORT' },
  { type: 'fatal', message: 'no setting helps', setting: undefined },
];
const SUPERVISOR: readonly SupervisorMessage[] = [
  { type: 'drain', graceMs: 10_000 },
  { type: 'ping', sequence: 7 },
  { type: 'peers', peers: [{ name: 'worker', index: 1, ports: { http: 8101 } }] },
];

test('every message survives the channel, which carries JSON', () => {
  const travel = (message: unknown): unknown => JSON.parse(JSON.stringify(message));
  for (const message of CHILD) expect(parseChildMessage(travel(seal(message)))).toEqual(message);
  for (const message of SUPERVISOR) expect(parseSupervisorMessage(travel(seal(message)))).toEqual(message);
});

test('what is not a message of this version and direction is undefined, and nothing throws', () => {
  const v = 1;
  const rubbish: readonly unknown[] = [
    undefined,
    null,
    7,
    'ready',
    [],
    {},
    { type: 'drained' },
    { v: 2, type: 'drained' },
    { v, type: 'constructor' },
    { v, type: 'ready', name: 'worker', index: -1, ports: {} },
    { v, type: 'ready', name: 'worker', index: 1, ports: { http: 65_536 } },
    { v, type: 'ready', name: 'x'.repeat(5000), index: 1, ports: {} },
    { v, type: 'pong', sequence: 1.5 },
    { v, type: 'pong', sequence: '1' },
    { v, type: 'fatal', message: 7 },
    { v, type: 'drain' },
    { v, type: 'drain', graceMs: Number.NaN },
    { v, type: 'peers', peers: {} },
    { v, type: 'peers', peers: [null] },
    { v, type: 'peers', peers: new Array(2000).fill({ name: 'worker', index: 1, ports: {} }) },
  ];
  for (const raw of rubbish) {
    expect(parseChildMessage(raw), JSON.stringify(raw)).toBeUndefined();
    expect(parseSupervisorMessage(raw), JSON.stringify(raw)).toBeUndefined();
  }
  for (const message of SUPERVISOR) expect(parseChildMessage(seal(message))).toBeUndefined();
  for (const message of CHILD) expect(parseSupervisorMessage(seal(message))).toBeUndefined();
});
