/**
 * The facts that VM tests recorded, as text: a row for each target, a column for each fact, in the order in which they came up.
 * @param {string} jsonLines lines of `{"target", "fact", "value"}`
 */
export function factsTable(jsonLines) {
  /** @type {{ target: string, fact: string, value: string }[]} */
  const facts = jsonLines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  const targets = [...new Set(facts.map((one) => one.target))].sort();
  const columns = [...new Set(facts.map((one) => one.fact))];
  // Recorded twice (a test that ran again): the last word counts.
  const byCell = new Map(facts.map((one) => [`${one.target}\0${one.fact}`, one.value]));
  const rows = [
    ['target', ...columns],
    ...targets.map((target) => [target, ...columns.map((column) => byCell.get(`${target}\0${column}`) ?? '–')]),
  ];
  const widths = rows[0].map((_, index) => Math.max(...rows.map((row) => row[index].length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, index) => cell.padEnd(widths[index]))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
