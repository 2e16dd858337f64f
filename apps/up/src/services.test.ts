import { expect, it } from '@jest/globals';
import { ServiceStack } from './services.js';

it('stops the newest first, each once, and goes on when one cannot be stopped', async () => {
  const stopped: string[] = [];
  const said: string[] = [];
  const stack = new ServiceStack((line) => said.push(line));
  const service = (name: string) => ({ name, stop: async () => void stopped.push(name) });
  stack.push(service('postgres'));
  stack.push({ name: 'broker', stop: async () => Promise.reject(new Error('stuck')) });
  stack.push(service('agent'));
  await Promise.all([stack.stopAll(), stack.stopAll()]);
  expect(stopped).toEqual(['agent', 'postgres']);
  expect(said).toEqual(['broker could not be stopped: stuck']);
  expect(() => stack.push(service('late'))).toThrow('late was to be started while everything stops');
});
