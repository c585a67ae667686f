// One end of a durable conversation, in a process that its test kills at random moments: sends the numbers from 0 on, and
// records what comes in the transaction that says it was delivered.

import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { openConversation } from '@rdv/protocol/conversation/open';
import { openStoredConversation, storedConversations } from '@rdv/protocol/conversation/stored';
import { fromHex, utf8 } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';

const { directory, port, secrets, r, count } = JSON.parse(process.argv[2]);
const around = { clock: systemClock, random: systemRandom, log: silentLogger };
const store = await openSqliteStore(
  {
    path: `${directory}/store.db`,
    firstPath: `${directory}/first`,
    key: { path: `${directory}/key`, credentials: undefined },
  },
  systemRandom,
  silentLogger,
);
const namespace = await openMqttNamespace({
  ...around,
  target: { protocol: 'mqtt', host: '127.0.0.1', port, version: 4 },
});
await namespace.firstAttempt;
const init = { ...around, namespaces: [namespace] };
const conversation =
  storedConversations(store).length > 0
    ? openStoredConversation(store, 'kept', init)
    : openConversation({
        ...init,
        role: 'responder',
        secrets: Object.fromEntries(Object.entries(secrets).map(([name, hex]) => [name, fromHex(hex)])),
        sas: fromHex(r),
        durable: { store, handle: 'kept' },
      });
process.stdout.write('up\n');
void (async () => {
  let number = store.list('app/').length;
  for await (const message of conversation) {
    await conversation.durable.confirm([{ key: `app/${String(number++).padStart(6, '0')}`, value: message }]);
    process.stdout.write(`${number}\n`);
  }
})();
for (let i = conversation.durable.sent; i < count; i++) {
  conversation.send(utf8(String(i))).catch(() => {});
  await conversation.durable.flush();
}
setInterval(() => {}, 1000);
