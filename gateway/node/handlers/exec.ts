/**
 * A program per conversation: messages on its standard input, its standard output back, as `ncat --exec` does.
 * Its end of output is END; END from the responder closes its input. Tags and keys never reach its arguments or
 * environment; RDV_CHANNEL (the channel binding in hex), RDV_SAS, and RDV_RESUMED (1 where a durable conversation goes on
 * after a restart) do.
 */
import { spawn } from 'node:child_process';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { toHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { pipeConversation } from '../pipe-conversation.js';
import type { Handler } from './handler.js';
import { heard } from './serve-all.js';

/** How long a program may take to notice that its conversation is over. */
const KILL_AFTER_MS = 5000;
/** How long a program that has closed its output without a word is waited for. */
const STARTED_WITHIN_MS = 1000;
/** What the shell exits with when it cannot run a command. */
const NOT_STARTED = /^exit 12[67]$|^could not start/;

const after = (ms: number): Promise<string> => new Promise((resolve) => setTimeout(resolve, ms, 'running'));

export function execHandler(command: string): Handler {
  if (command.trim().length === 0) throw new InvalidArgumentError('the program to run is empty');
  return {
    kind: 'exec',
    async serve(conversation: Conversation) {
      // Before the responder's first frame there is no RDV_SAS, and perhaps never anybody.
      if (!(await heard(conversation))) return 'nobody came';
      const child = spawn('/bin/sh', ['-c', command], {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: {
          ...process.env,
          RDV_CHANNEL: toHex(conversation.channelBinding),
          RDV_SAS: conversation.sas?.digits ?? '',
          RDV_RESUMED: conversation.durable?.resumed ? '1' : '',
        },
      });
      const exited = new Promise<string>((resolve) => {
        child.once('error', (error) => resolve(`could not start: ${error.message}`));
        child.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `exit ${code}`));
      });
      child.stdin.on('error', () => {});
      let failed = false;
      await pipeConversation(conversation, child.stdout, child.stdin, async (spoke) => {
        // A program that closes its output and goes on has started; one that never started must not look like an answer.
        failed = !spoke && NOT_STARTED.test(await Promise.race([exited, after(STARTED_WITHIN_MS)]));
        return !failed;
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
      child.kill('SIGTERM');
      const how = await exited;
      clearTimeout(timer);
      if (failed) throw new RdvError('config', `the program did not start (${how}): check its path and permissions`);
      return how;
    },
  };
}
