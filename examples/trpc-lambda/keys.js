// The keys of the table: partition `pk`, sort key `sk`.
//
//   a connection             connection#ID   connection#ID
//   its subscription         connection#ID   subscription#ID
//   the same, without filter path#PATH       connection#ID#subscription#ID
//   the same, by a filter    path#PATH       name#FILTER#ctx#KEY#VALUE…#input#KEY#VALUE…#connection#ID#subscription#ID

export const connectionKey = (connectionId) => ({ pk: `connection#${connectionId}`, sk: `connection#${connectionId}` });

export const subscriptionKey = ({ connectionId, id }) => ({ pk: `connection#${connectionId}`, sk: `subscription#${id}` });

/** The keys under which publishers find a subscription: one for each filter of its path. */
export function pathKeys({ path, connectionId, id, ctx, input }, filters = []) {
  const own = `connection#${connectionId}#subscription#${id}`;
  const starts = filters.map((filter) =>
    `${start({ name: filter.name, ctx: pick(ctx, filter.ctx), input: pick(input, filter.input) })}#`);
  return (filters.length > 0 ? starts : ['']).map((each) => ({ pk: `path#${path}`, sk: `${each}${own}` }));
}

/** What the sort keys of a filter's records begin with. Only leading keys can be given: `ctx` comes before `input`. */
export const start = ({ name, ctx, input }) => `name#${name}${part('ctx', ctx)}${part('input', input)}`;

function part(kind, values = {}) {
  const entries = Object.entries(values).map(([key, value]) => `#${key}#${value}`);
  return entries.length > 0 ? `#${kind}${entries.join('')}` : '';
}

const pick = (values, keys = []) => Object.fromEntries(keys.map((key) => [key, values?.[key]]));
