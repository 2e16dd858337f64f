import { expect, it } from '@jest/globals';
import { buildBtf, buildObject, KIND, RETURN_ZERO } from '../fixtures/object-builder.js';
import { openObject } from './index.js';

it('a variable whose type is larger than its section is neither read nor written', () => {
  const types = [
    ['int', KIND.int << 24, 4, 32],
    ['x', KIND.var << 24, 1, 1],
    ['.data', (KIND.datasec << 24) | 1, 2, 2, 0, 2],
  ];
  const sections = [
    { name: 'xdp', flags: 6, data: RETURN_ZERO },
    { name: '.data', flags: 3, data: Buffer.alloc(2) },
    { name: '.BTF', data: buildBtf(types) },
  ];
  const symbols = [
    { name: 'main', section: 'xdp', bytes: 16n },
    { name: 'x', section: '.data', type: 1, bytes: 2n },
  ];
  const spec = openObject(buildObject(sections, symbols));
  const tooLarge = expect.objectContaining({
    code: 'BPF_BTF',
    message: expect.stringContaining('its type reaches past the end of .data'),
  });
  expect(() => spec.global('x').get()).toThrow(tooLarge);
  expect(() => spec.global('x').set(1)).toThrow(tooLarge);
  spec.close();
});
