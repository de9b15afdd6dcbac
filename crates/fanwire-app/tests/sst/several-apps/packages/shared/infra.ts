export function shared(name) {
  new sst.aws.Function(name, { handler: `src/${name.toLowerCase()}.handler` });
}
