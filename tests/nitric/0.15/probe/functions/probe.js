const sdk = require('@nitric/sdk');

const things = sdk.collection('things').for('reading', 'writing', 'deleting');
const found = ({ id, content }) => ({ id, content });

require('../../../probe.js')(sdk, (socket) => {
  const collection = ({ parent }) => (parent === undefined ? things : things.doc(parent).collection('parts'));
  const query = (asked) => {
    let query = (asked.everywhere ? things.collection('parts') : collection(asked)).query();
    for (const where of asked.where ?? []) query = query.where(...where);
    if (asked.limit !== undefined) query = query.limit(asked.limit);
    if (asked.from !== undefined) query = query.pagingFrom(new Map(Object.entries(asked.from)));
    return query;
  };
  return {
    set: async (asked) => ({ set: await collection(asked).doc(asked.id).set(asked.content).then(() => asked.id) }),
    get: async (asked) => ({ got: await collection(asked).doc(asked.id).get() }),
    delete: async (asked) => ({ deleted: await collection(asked).doc(asked.id).delete().then(() => asked.id) }),
    query: async (asked) => {
      const { documents, pagingToken } = await query(asked).fetch();
      return { documents: documents.map(found), token: pagingToken && Object.fromEntries(pagingToken.entries?.() ?? []) };
    },
    stream: async (asked) => {
      const documents = [];
      for await (const document of query(asked).stream()) documents.push(found(document));
      return { documents };
    },
    url: async () => ({ url: await socket.url() }),
  };
});
