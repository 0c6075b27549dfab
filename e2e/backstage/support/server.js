// Servers that run as child processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { eventually } from './eventually.js';

const maxOutput = 200_000;
const stopTimeout = 20_000;

// freePorts returns ports of 127.0.0.1 that nobody listens on. They are held until
// all are known, so that they differ.
export async function freePorts(count) {
  const holders = await Promise.all(Array.from({ length: count }, async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    return holder;
  }));
  const ports = holders.map(holder => holder.address().port);
  await Promise.all(holders.map(async holder => {
    holder.close();
    await once(holder, 'close');
  }));
  return ports;
}

// startServer runs a command until stop, and returns when readyUrl answers with 200.
export async function startServer({ name, command, args, env, readyUrl }) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output = (output + text).slice(-maxOutput);
    });
  }
  let ended;
  const end = new Promise(resolve => {
    child.once('error', error => resolve(ended = error.message));
    child.once('exit', (code, signal) => resolve(ended = `it ended with ${signal ?? code}`));
  });
  // The last resort, should the tests die before they stop it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);

  const server = {
    output: () => `--- output of ${name}\n${output}`,
    async stop() {
      if (ended === undefined) {
        child.kill('SIGTERM');
        const timer = setTimeout(kill, stopTimeout);
        await end;
        clearTimeout(timer);
      }
      process.off('exit', kill);
    },
  };
  try {
    await eventually(`${name} is ready`, async () => {
      if (ended !== undefined) {
        return true;
      }
      const response = await fetch(readyUrl, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.status === 200;
    }, { timeout: 60_000 });
    if (ended !== undefined) {
      throw new Error(`${name} did not start: ${ended}`);
    }
  } catch (error) {
    await server.stop();
    console.error(server.output());
    throw error;
  }
  return server;
}
