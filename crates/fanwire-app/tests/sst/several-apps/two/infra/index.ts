export const declare = (name) => void new sst.aws.Function(name, { handler: `src/${name.toLowerCase()}.handler` });
