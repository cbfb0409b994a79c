import { describe, expect, test } from 'vitest';
import { bodyKey, Quarantine } from './quarantine.ts';

const A = bodyKey('m', Buffer.from('a'));
const B = bodyKey('m', Buffer.from('b'));

describe('quarantine', () => {
  test('a body is known by its model and all of its bytes', () => {
    expect(bodyKey('m', Buffer.from('a'))).toBe(A);
    expect(bodyKey('n', Buffer.from('a'))).not.toBe(A);
    expect(A).not.toBe(B);
  });

  test('clear, suspect, quarantined, and clear again after a while', () => {
    const quarantine = new Quarantine({ quarantineMs: 1000 });
    expect(quarantine.standing(A, 0)).toBe('clear');
    expect(quarantine.mayKnow(1)).toBe(false);
    quarantine.suspect(A, 1, 0);
    expect(quarantine.mayKnow(1)).toBe(true);
    expect(quarantine.mayKnow(2)).toBe(false);
    expect(quarantine.standing(A, 999)).toBe('suspect');
    quarantine.condemn(A, 1, 500);
    expect(quarantine.standing(A, 1499)).toBe('quarantined');
    expect(quarantine.leftMs(A, 1400)).toBe(100);
    expect(quarantine.standing(A, 1500)).toBe('clear');
    expect(quarantine.mayKnow(1)).toBe(false);
  });

  test('an answered suspect is clear, a quarantined body stays refused', () => {
    const quarantine = new Quarantine({ quarantineMs: 1000 });
    quarantine.suspect(A, 1, 0);
    quarantine.suspect(B, 1, 0);
    quarantine.condemn(B, 1, 0);
    quarantine.absolve(A);
    quarantine.absolve(B);
    expect(quarantine.standing(A, 1)).toBe('clear');
    expect(quarantine.standing(B, 1)).toBe('quarantined');
    expect(quarantine.mayKnow(1)).toBe(true);
  });

  test('a quarantined body that is in flight at another crash is not set free by it', () => {
    const quarantine = new Quarantine({ quarantineMs: 1000 });
    quarantine.condemn(A, 1, 0);
    quarantine.suspect(A, 1, 10);
    expect(quarantine.standing(A, 20)).toBe('quarantined');
  });

  test('0 turns it off', () => {
    const quarantine = new Quarantine({ quarantineMs: 0 });
    quarantine.suspect(A, 1, 0);
    quarantine.condemn(A, 1, 0);
    expect(quarantine.size).toBe(0);
    expect(quarantine.standing(A, 0)).toBe('clear');
  });

  test('the oldest is forgotten beyond the capacity, and counted; lapsed ones are not counted', () => {
    const quarantine = new Quarantine({ quarantineMs: 1000, capacity: 3 });
    for (let index = 0; index < 5; index += 1) {
      quarantine.suspect(bodyKey('m', Buffer.from([index])), 1, index);
    }
    expect(quarantine.size).toBe(3);
    expect(quarantine.forgotten).toBe(2);
    expect(quarantine.standing(bodyKey('m', Buffer.from([0])), 10)).toBe('clear');
    expect(quarantine.standing(bodyKey('m', Buffer.from([4])), 10)).toBe('suspect');
    quarantine.suspect(A, 1, 5000);
    expect(quarantine.size).toBe(1);
    expect(quarantine.forgotten).toBe(2);
  });
});
