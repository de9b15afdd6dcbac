// Front ends, each with its own tool.
export default $config({
  app: () => ({ name: "sites", home: "aws" }),
  async run() {
    const api = new sst.aws.ApiGatewayWebSocket("Api");
    api.route("$default", "src/default.handler");
    const secret = new sst.Secret("Key", "none");
    const web = new sst.aws.Nextjs("Web", { path: "packages/web", link: [api, secret], environment: { NEXT_PUBLIC_API: api.url } });
    new sst.aws.StaticSite("Docs", { path: "docs", dev: { command: "npm run start", url: "http://localhost:4000" } });
    new sst.aws.Astro("Blog", { path: "blog", dev: false });
    new sst.aws.Remix("Shop", { dev: { directory: "shop/app", autostart: false } });
    for (const kind of ["React", "SvelteKit", "Nuxt", "SolidStart", "TanStackStart", "Analog"]) {
      new sst.aws[kind](`My${kind}`, { path: kind, domain: "example.com" });
    }
    new sst.cloudflare.StaticSite("Edge", { path: "edge" });
    new sst.x.DevCommand("Studio", { link: [secret], dev: { command: "npx drizzle-kit studio", autostart: true } });
    const cluster = new sst.aws.Cluster("Cluster");
    new sst.aws.Service("Worker", { cluster, link: [api], dev: { command: "node worker.js" } });
    new sst.aws.Service("Only", { cluster });
    return { web: web.url, docs: web.nodes.server.url };
  },
});
