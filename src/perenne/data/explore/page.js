(()=>{const root=document.documentElement,dark=matchMedia('(prefers-color-scheme: dark)');
const theme=document.getElementById('theme');theme.hidden=false;
theme.onclick=()=>{root.dataset.theme=(root.dataset.theme||(dark.matches?'dark':'light'))==='dark'?'light':'dark'};
const all=[...document.querySelectorAll('details.column')],find=document.getElementById('find'),order=document.getElementById('order'),told=document.getElementById('told');
if(find){document.getElementById('tools').hidden=false;const list=all[0]&&all[0].parentNode;
const key={place:c=>+c.dataset.place,missing:c=>-c.dataset.missing,distinct:c=>-c.dataset.distinct,notices:c=>-c.dataset.notices,told:c=>-c.dataset.told,difference:c=>-c.dataset.difference};
find.oninput=()=>{let n=0;const want=find.value.toLowerCase();for(const c of all){c.hidden=!c.dataset.name.toLowerCase().includes(want);n+=!c.hidden}told.textContent=want?n+' of '+all.length:''};
order.onchange=()=>{const by=key[order.value];all.sort((a,b)=>by(a)-by(b)||a.dataset.place-b.dataset.place).forEach(c=>list.append(c))}}
const show=()=>{let e=null;try{e=document.getElementById(decodeURIComponent(location.hash.slice(1)))}catch{}if(e&&e.tagName==='DETAILS'){e.open=true;e.scrollIntoView()}};
addEventListener('hashchange',show);show();
for(const b of document.querySelectorAll('button.open-all'))b.onclick=()=>{const open=!all.every(c=>c.open);for(const c of all)c.open=open};
})();
