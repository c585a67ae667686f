#!/usr/bin/env node
// The help desk of a kiosk: one of these runs per conversation, its standard input and output are the conversation.
import { createInterface } from 'node:readline';

const answers = [
  [/open|hours/i, 'Open 8 to 20, every day.'],
  [/door|entrance/i, 'The blue door, round the corner.'],
  [/bye|thank/i, 'Have a good journey.'],
];

console.log('Kiosk on Rte. 101. Ask for opening hours or the door.');
for await (const line of createInterface({ input: process.stdin })) {
  const [, answer = `I can't help with "${line}".`] = answers.find(([pattern]) => pattern.test(line)) ?? [];
  console.log(answer);
}
