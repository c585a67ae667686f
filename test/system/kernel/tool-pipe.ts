/** The packets of a link, through the text of a program that is not ours: BlueZ's tools in the machine. */
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { SecureChannel } from '@rdv/protocol/link/channel';
import type { LinkHello, LinkRole } from '@rdv/protocol/link/peer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import type { Command } from './machine.js';

export interface Tool {
  /** Where packets are typed, and where those that come are printed. */
  readonly writer: Command;
  readonly reader: Command;
  /** What to type so that the tool sends `hex`. */
  say(hex: string): string;
  /** The packets that it says came, in hexadecimal digits, of all its output so far. */
  heard(output: string): string[];
}

class ToolPipe implements PacketPipe {
  readonly maxPacketBytes = 20;
  readonly #tool: Tool;
  #taken = 0;

  constructor(tool: Tool) {
    this.#tool = tool;
  }

  async send(packet: Uint8Array): Promise<void> {
    await this.#tool.writer.type(this.#tool.say(Buffer.from(packet).toString('hex')));
  }

  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#tool.reader.follow(() => {
      const heard = this.#heard();
      while (this.#taken < heard.length) listener(Uint8Array.from(Buffer.from(heard[this.#taken++]!, 'hex')));
    });
  }

  onClose(): void {}
  close(): void {}

  #heard(): string[] {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are spoken to with them
    return this.#tool.heard(this.#tool.reader.output.replaceAll(/\x1b\[[0-9;]*[A-Za-z]|[\r\x01\x02]/g, ''));
  }
}

const HELLO = {
  answersKeyed: false,
  answersById: false,
  credits: 16,
  maxMessageBytes: 1280,
  maxRequests: 1,
  maxSubscriptions: 0,
};

/**
 * Opens a link through the tool: HELLOs and Noise, which bear no wrong or missing byte (SPEC §9.2).
 * @returns what the other end says it is
 */
export function openThrough(tool: Tool, role: LinkRole, side: 'initiator' | 'responder'): Promise<LinkHello> {
  return new Promise((resolve, reject) => {
    const around = { clock: systemClock, random: systemRandom, log: silentLogger };
    const channel = new SecureChannel(new ToolPipe(tool), { ...HELLO, role }, around, {
      onOpen: (remote) => resolve(remote),
      onFrame: () => {},
      onClose: reject,
    });
    channel.start(side);
  });
}
