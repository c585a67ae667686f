import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { storeContract } from '../../contract/store.js';

storeContract('memory', async () => ({ store: new MemoryStore(), dispose: async () => {} }));
