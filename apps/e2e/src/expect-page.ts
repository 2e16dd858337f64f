import type { Locator } from 'playwright-core';
import { until } from './process.js';

/** Waits until what the page shows is what it should show; playwright-core has no assertions of its own. */
export function expect(locator: Locator) {
  return {
    async toHaveAttribute(name: string, value: string): Promise<void> {
      let last: string | null = null;
      await until(`${locator.toString()} has ${name}=${value} (last: ${last})`, async () => {
        last = await locator.getAttribute(name, { timeout: 1000 });
        return last === value;
      });
    },
  };
}
