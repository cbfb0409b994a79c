import { describe, expect, test } from 'vitest';
import { type Candidate, fewestInFlight } from './balancer.ts';
import { Routing, type Waiter } from './routing.ts';

interface TestWorker extends Candidate {
  name: string;
  inFlight: number;
  usable: boolean;
  laneTaken: boolean;
}

function worker(name: string, inFlight = 0, more: Partial<TestWorker> = {}): TestWorker {
  return { name, inFlight, usable: true, laneTaken: false, ...more };
}

const ANY = { avoid: undefined, needsLane: false };

describe('balancer', () => {
  test('the fewest in flight', () => {
    const [a, b, c] = [worker('a', 2), worker('b', 1), worker('c', 3)];
    for (let turn = 0; turn < 6; turn += 1) expect(fewestInFlight([a, b, c], turn, ANY)).toBe(b);
  });

  test('equals each in turn', () => {
    const workers = [worker('a'), worker('b'), worker('c')];
    const chosen = [0, 1, 2, 3, 4, 5].map((turn) => fewestInFlight(workers, turn, ANY)?.name);
    expect(chosen).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  test('none that is not usable, and none at all when nobody is', () => {
    expect(fewestInFlight([worker('a', 0, { usable: false }), worker('b', 9)], 0, ANY)?.name).toBe('b');
    expect(fewestInFlight([worker('a', 0, { usable: false })], 0, ANY)).toBeUndefined();
    expect(fewestInFlight([], 7, ANY)).toBeUndefined();
  });

  test('the one that failed only when there is no other', () => {
    const [a, b] = [worker('a', 0), worker('b', 9)];
    expect(fewestInFlight([a, b], 0, { ...ANY, avoid: a })).toBe(b);
    b.usable = false;
    expect(fewestInFlight([a, b], 0, { ...ANY, avoid: a })).toBe(a);
  });

  test('a suspect goes only where the lane is free', () => {
    const [a, b] = [worker('a', 0, { laneTaken: true }), worker('b', 9)];
    expect(fewestInFlight([a, b], 0, { ...ANY, needsLane: true })).toBe(b);
    b.laneTaken = true;
    expect(fewestInFlight([a, b], 0, { ...ANY, needsLane: true })).toBeUndefined();
    expect(fewestInFlight([a, b], 0, ANY)).toBe(a);
  });
});

function waiter(
  workers: readonly TestWorker[],
  assigned: (worker: TestWorker) => void,
  wish: Partial<Waiter<TestWorker>> = {},
): Waiter<TestWorker> {
  return { ...ANY, workers, assigned, ...wish };
}

describe('routing', () => {
  test('serves in the order of arrival, one per free place', () => {
    const workers = [worker('a', 0, { usable: false })];
    const routing = new Routing<TestWorker>(10);
    const served: number[] = [];
    for (const id of [1, 2, 3]) {
      routing.wait(
        waiter(workers, (chosen) => {
          served.push(id);
          chosen.usable = false;
        }),
      );
    }
    routing.serve();
    expect(served).toEqual([]);
    for (const expected of [[1], [1, 2], [1, 2, 3]]) {
      (workers[0] as TestWorker).usable = true;
      routing.serve();
      expect(served).toEqual(expected);
    }
    expect(routing.waiting).toBe(0);
  });

  test('whoever waits for another model does not hold up the rest', () => {
    const [a, b] = [worker('a', 0, { usable: false }), worker('b', 0, { usable: false })];
    const routing = new Routing<TestWorker>(10);
    const served: string[] = [];
    const [onlyA, onlyB] = [[a], [b]];
    routing.wait(waiter(onlyA, () => served.push('first')));
    routing.wait(waiter(onlyB, () => served.push('second')));
    b.usable = true;
    routing.serve();
    expect(served).toEqual(['second']);
  });

  test('a full room refuses, and who leaves makes room', () => {
    const routing = new Routing<TestWorker>(1);
    const first = waiter([], () => {});
    expect(routing.wait(first)).toBe(true);
    expect(routing.wait(waiter([], () => {}))).toBe(false);
    routing.leave(first);
    expect(routing.wait(waiter([], () => {}))).toBe(true);
  });

  test('one that was served and comes back while others are served waits at the end', () => {
    const workers = [worker('a')];
    const routing = new Routing<TestWorker>(10);
    const served: string[] = [];
    const unlucky = waiter(workers, () => {
      served.push('unlucky');
      // Its worker failed at once.
      (workers[0] as TestWorker).usable = served.length < 2;
      routing.wait(unlucky);
      routing.serve();
    });
    routing.wait(unlucky);
    routing.wait(
      waiter(workers, () => {
        served.push('next');
      }),
    );
    routing.serve();
    expect(served.slice(0, 2)).toEqual(['unlucky', 'next']);
  });
});
