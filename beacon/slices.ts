/**
 * Whose turn it is on the air: several tags of one node share its advertiser by time slices. Strict rotation would
 * let a listener link the tags by their rhythm, so every round has its own order and each slice its own length.
 */
import type { Random } from '@rdv/protocol/core/ports';
import { randomBelow } from '@rdv/protocol/core/random';

/** `items` in a random order (Fisher-Yates); the last one before is never the first one now, or it would show twice. */
export function nextRound<T>(items: readonly T[], last: T | undefined, random: Random): T[] {
  const round = [...items];
  for (let i = round.length - 1; i > 0; i--) {
    const j = randomBelow(random, i + 1);
    [round[i], round[j]] = [round[j]!, round[i]!];
  }
  if (round.length > 1 && round[0] === last) {
    const other = 1 + randomBelow(random, round.length - 1);
    [round[0], round[other]] = [round[other]!, round[0]!];
  }
  return round;
}

/** Milliseconds of one slice: room for one advertising event (interval + up to 10 ms) and up to half as much again. */
export function sliceMs(intervalMs: number, random: Random): number {
  const atLeast = intervalMs + 20;
  return atLeast + randomBelow(random, Math.max(1, Math.floor(atLeast / 2)));
}
