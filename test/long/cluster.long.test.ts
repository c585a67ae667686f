/** A thousand conversations on a NATS cluster whose nodes are killed and started again in turn. Needs nats-server. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { newTag, publishOn } from '../support/mqtt-rendezvous.js';
import { openUp } from '../support/mqtt-rig.js';
import { echoAll, meetings } from '../system/cluster/meetings.js';
import { NatsCluster, SIZE } from '../system/cluster/nats-cluster.js';

const there = existsSync('/usr/sbin/nats-server');
if (!there) console.warn('nats-server is not installed: the cluster is not run');

it.skipIf(!there)(
  '1,000 conversations while nodes are killed and restarted in turn',
  async () => {
    const cluster = await NatsCluster.open();
    try {
      const tag = newTag();
      const namespace = await openUp(cluster.target(0));
      const publication = await publishOn(tag, namespace, { maxWaiting: 64 });
      const heard = echoAll(publication);
      const guests = await Promise.all([0, 1, 2].map((first) => openUp(cluster.target(first))));
      let kills = 0;
      let over = false;
      const killing = (async () => {
        for (; !over; kills++) {
          const before = heard.size;
          while (!over && heard.size < before + 50) await new Promise((resolve) => setTimeout(resolve, 20));
          if (over) return;
          await cluster.kill(kills % SIZE);
          while (!over && heard.size < before + 75) await new Promise((resolve) => setTimeout(resolve, 20));
          await cluster.start(kills % SIZE);
          await cluster.ready();
        }
      })();
      const outcome = await meetings(tag, guests, heard, {
        count: 1000,
        atOnce: 8,
        messages: 10,
        enough: () => kills > 5,
      });
      over = true;
      await killing;
      const { opened, medianMs, slowestMs, wrong } = outcome;
      console.log(
        `${opened} conversations, ${kills} kills: median ${medianMs.toFixed(0)} ms, slowest ${slowestMs.toFixed(0)} ms`,
      );
      expect(wrong).toEqual([]);
      expect(opened).toBeGreaterThanOrEqual(1000);
      expect(kills).toBeGreaterThan(5);
      await publication.close();
      await Promise.all([namespace, ...guests].map((each) => each.close()));
    } finally {
      await cluster.close();
    }
  },
  1_200_000,
);
